"""A page of HTML as a reader of one file needs it: whole, with its sections, and asking for nothing from outside."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
LOADS = {"src", "href", "srcset", "data", "action", "poster", "background"}
NAMES = {"http://www.w3.org/2000/svg"}  # a name, which nothing asks for


class Page(HTMLParser):
    """`faults`: elements that do not nest, and what would be loaded or leads elsewhere. `sections`: {heading of a <h2>: {element: the
    texts of those that follow}}, up to the next one."""

    def __init__(self, text):
        super().__init__()
        self.faults, self.sections, self.open, self.here = [], {}, [], {}
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.open]
        self.faults += [f"{scheme} in the page" for scheme in ("http:", "https:") if scheme in without_names(text)]

    def handle_starttag(self, tag, attrs):
        self.faults += [f"{name}={value} of <{tag}>" for name, value in attrs if name in LOADS]
        if tag not in VOID:
            self.open.append(tag)
        self.here.setdefault(tag, []).append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
        if tag == "h2":
            title = self.here["h2"][-1]
            self.here = self.sections[title] = {}

    def handle_data(self, data):
        for tag in self.open:
            if tag in self.here:
                self.here[tag][-1] += data


def without_names(text):
    for name in NAMES:
        text = text.replace(f'xmlns="{name}"', "")
    return text
