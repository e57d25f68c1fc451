/*
 * client.h - the clients, which write through edges (edges.h), and another producer that writes to
 * the log directly, sometimes malformed records.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "broker.h"
#include "edge/edge.h"

typedef struct leat_http_request sim_request;

typedef struct sim_clients {
    sim_request **requests;
    sim_request *handled; /* by an edge, at the moment; NULL: none is */
    uint32_t count;
    uint32_t sent;
    uint32_t answered;
    uint32_t to_repeat;  /* requests that will be sent again */
    sim_poison *poisons; /* by number; a record names it in `guard` */
    uint32_t poison_count;
} sim_clients;

void sim_clients_begin(sim_world *world);
void sim_clients_end(sim_world *world);
bool sim_clients_are_done(const sim_world *world);
/* The reason why the database refuses a row now that has this poison; NULL: it does not. */
const char *sim_poison_now(const sim_world *world, const sim_poison *poison);
/* Of one with this guard. */
const char *sim_clients_poison(sim_world *world, leat_slice guard);

/* It is answered: a client that has a key may send it again, and does so where the answer does not
 * say that it is done. */
void sim_clients_answered(sim_world *world, const sim_request *request);
/* It has been written past the log: perhaps an attempt before it, which was answered 504, arrives
 * there in a while. `record` is that of both, and stays. */
void sim_clients_written(sim_world *world, sim_request *request, const leat_record *record);

/* ---- http.c ---- */

struct leat_http_request {
    uint32_t index;
    leat_http_method method;
    char path[96];
    char body[512];
    size_t body_size;
    char key[16];         /* "": it has none */
    char body_again[512]; /* of one with a key; as it was sent */
    size_t body_again_size;
    uint32_t times; /* that it was sent before */
    int64_t arrived_us;
    int status; /* 0: not answered */
    sim_poison poison;
};

/* Hands the request to an edge that listens. */
void sim_http_request(sim_world *world, sim_request *request);

#endif
