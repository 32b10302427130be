/* When the guardian lets go of what, once it acts. Pure: time comes in, and nothing is sent or removed here. */
#ifndef LVS_DIRECTOR_WITHDRAWAL_H
#define LVS_DIRECTOR_WITHDRAWAL_H
#include "successor.h"

enum { GRACE_MS = 150 }; /* after the successor's first advertisement: its gratuitous ARP follows */

/* Farewells that were sent keep their addresses for the hold; who could not say farewell has nobody to wait for. */
void begin_withdrawal(struct orders *orders, uint64_t now_ms);

/* A packet on the channel `ear`: a successor ends the wait of its virtual router, after the grace. */
void note_packet(struct orders *orders, int ear, const struct packet *packet, uint64_t now_ms);

/* One that has to let go by now, and counts as gone from here on; NULL: none has. */
struct farewell *next_to_let_go(struct orders *orders, uint64_t now_ms);

/* When the next one has to; UINT64_MAX when all are gone. */
uint64_t next_due(const struct orders *orders);

#endif
