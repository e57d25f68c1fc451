# What the run scripts of the peers share; sourced by each of them, which sets NAME, the name of its folder.
#
#   SOURCE  its folder; OUT what is fetched and compiled; PEER_JAVA a Java >= 17
#
# shellcheck shell=bash
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

SOURCE=$ROOT/bench/peers/$NAME
OUT=$DEV/peers/$NAME

# inputs: what OUT was made from.
inputs() { printf '%s\n' "$SOURCE/pom.xml" "$SOURCE"/*.java; }

fresh() {
    local file
    while read -r file; do cmp -s "$file" "$OUT/${file##*/}" || return 1; done < <(inputs)
}

# The jars that pom.xml names, from Maven Central, and the classes of *.java. The compiler is one of these jars, so that a Java
# without one will do.
make_out() {
    say "peer $NAME: fetching and compiling" >&2
    rm -rf "$OUT.new"
    mkdir -p "$OUT.new/classes"
    mvn -q -B --strict-checksums -gs "$ROOT/bench/peers/maven-settings.xml" -Dmaven.repo.local="$DEV/peers/m2" -f "$SOURCE/pom.xml" \
        dependency:copy-dependencies -DoutputDirectory="$OUT.new/jars" </dev/null >&2 || die "peer $NAME: its jars could not be fetched"
    "$PEER_JAVA" -jar "$OUT.new"/jars/ecj-*.jar -17 -proc:none -cp "$(printf '%s:' "$OUT.new"/jars/*.jar)" -d "$OUT.new/classes" "$SOURCE"/*.java
    # shellcheck disable=SC2046
    cp $(inputs) "$OUT.new"
    rm -rf "$OUT"
    mv "$OUT.new" "$OUT"
}

# prepare_java: sees to OUT. One at a time, as the peers share Maven's folder; the lock is let go of before the peer runs.
prepare_java() {
    PEER_JAVA=$(java_bin)
    [ -n "$PEER_JAVA" ] || die "peer $NAME: no Java >= 17 was found: scripts/setup installs one"
    fresh && return
    command -v mvn >/dev/null || die "peer $NAME: there is no mvn: scripts/setup installs it"
    only_one peers
    fresh || make_out
    exec 9>&-
}
