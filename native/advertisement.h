/* VRRP advertisements (RFC 9568 section 5.2, RFC 3768 section 5.1), judged as src/vrrp/packet.ts and group-guard.ts do. */
#ifndef LVS_DIRECTOR_ADVERTISEMENT_H
#define LVS_DIRECTOR_ADVERTISEMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAX_ADVERTISEMENT = 8 + 255 * 16, /* Count IPvX Addr is one byte */
};

struct message {
	const uint8_t *bytes;
	size_t length;
};

/* Where a message came from and went to: network order, 4 bytes where `ipv6` is false. */
struct envelope {
	bool ipv6;
	const uint8_t *source, *destination;
};

/*
 * Whether `heard` is sound and speaks for the virtual router that `own` speaks for: the same version, identifier and
 * family, an address in common (both none counts as well), in version 2 the same interval. Reads within the lengths
 * alone, whatever the bytes say. Priority, TTL and sender are the caller's to judge.
 */
bool speaks_for_same_router(struct message own, struct message heard, struct envelope envelope);

#endif
