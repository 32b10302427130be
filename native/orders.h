/* The guardian's orders, read from the bytes that the daemon sends. Pure: nothing is opened or said here. */
#ifndef LVS_DIRECTOR_ORDERS_H
#define LVS_DIRECTOR_ORDERS_H
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ORDERS_HEADER = 12,
	FAREWELL_HEADER = 28,
	ADDRESS_LENGTH = 16, /* IPv4 addresses in the first four, zeros behind */
	DESTINATION_HEADER = ADDRESS_LENGTH + 2,
	MAX_BODY = 1 << 20,
	MAX_FAREWELLS = 512, /* all virtual router identifiers of one interface in both families */
	MAX_DESTINATIONS = 4096,
	MAX_DELETIONS = 8192,
	MAX_PAYLOAD = 8192, /* 240 IPv6 addresses and more than any link takes */
	MAX_NETLINK_MESSAGE = 256,
	MAX_HOLD_MS = 3600000,
	IPV4 = 4,
	IPV6 = 6,
	VRRP_PROTOCOL = 112,
};

struct destination {
	const uint8_t *address, *payload;
	uint16_t length;
};

struct deletion {
	uint16_t length;
	const uint8_t *message;
};

struct farewell {
	char listen_name[IFNAMSIZ], send_name[IFNAMSIZ];
	uint8_t virtual_router, family, protocol, least_hops;
	uint16_t port;
	const uint8_t *source;
	const struct destination *destinations;
	const struct deletion *deletions;
	uint16_t destination_count, deletion_count;
	int ear, mouth; /* channels; -1: could not be opened */
	bool sent, heard, gone;
	uint64_t until; /* once acting: when the addresses go */
};

struct orders {
	uint32_t hold_ms, lease_ms, farewell_count, destination_count, deletion_count;
	struct farewell farewells[MAX_FAREWELLS];
	struct destination destinations[MAX_DESTINATIONS];
	struct deletion deletions[MAX_DELETIONS];
	uint8_t bytes[MAX_BODY]; /* what all pointers point into */
};

/*
 * Reads the body of a frame of type 1 into `orders`, which keeps a copy of the bytes. False where they are malformed or
 * beyond the limits: then `orders` means nothing.
 */
bool parse_orders(struct orders *orders, const uint8_t *body, size_t length);

bool is_multicast(uint8_t family, const uint8_t *address);

uint32_t read32(const uint8_t *p);

#endif
