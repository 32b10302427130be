/*
 * Runs parse_orders() in one process on bytes that make no sense: orders-fuzz SEED COUNT, sound orders on stdin. Each time
 * something else is done to them. What is taken must lie within what was given. Prints how many were taken.
 */
#include "../../../native/orders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

/* xorshift64: the same bytes in each run */
static uint32_t below(uint32_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % limit;
}

static size_t change(uint8_t *body, size_t length)
{
	for (uint32_t changes = 1 + below(8); changes > 0; changes--)
		body[below((uint32_t)length)] = below(3) == 0 ? 255 : (uint8_t)below(256);
	if (below(4) == 0)
		return below((uint32_t)length + 1);
	if (below(8) == 0) /* the counts say what they like */
		body[8] = (uint8_t)below(256);
	return length;
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	exit(EXIT_FAILURE);
}

static bool lies_within(const struct orders *orders, size_t length, const uint8_t *bytes, size_t count)
{
	return bytes >= orders->bytes && bytes + count <= orders->bytes + length;
}

static void check(const struct orders *orders, size_t length)
{
	must(orders->farewell_count <= MAX_FAREWELLS, "more farewells than there is room for");
	must(orders->hold_ms <= MAX_HOLD_MS && orders->lease_ms <= MAX_HOLD_MS, "longer than the limit");
	for (uint32_t i = 0; i < orders->farewell_count; i++) {
		const struct farewell *f = &orders->farewells[i];

		must(f->virtual_router != 0 && (f->family == IPV4 || f->family == IPV6), "no virtual router");
		must(memchr(f->listen_name, 0, IFNAMSIZ) != NULL && f->listen_name[0] != 0, "no name to hear on");
		must(memchr(f->send_name, 0, IFNAMSIZ) != NULL && f->send_name[0] != 0, "no name to send from");
		must(lies_within(orders, length, f->source, ADDRESS_LENGTH), "source");
		must(f->destinations + f->destination_count <= orders->destinations + MAX_DESTINATIONS, "destinations");
		must(f->deletions + f->deletion_count <= orders->deletions + MAX_DELETIONS, "deletions");
		for (uint16_t d = 0; d < f->destination_count; d++) {
			const struct destination *to = &f->destinations[d];
			must(to->length > 0 && lies_within(orders, length, to->address, ADDRESS_LENGTH) &&
				     lies_within(orders, length, to->payload, to->length),
				"destination");
		}
		for (uint16_t d = 0; d < f->deletion_count; d++)
			must(lies_within(orders, length, f->deletions[d].message, f->deletions[d].length), "deletion");
	}
}

int main(int argc, char **argv)
{
	static uint8_t sound[MAX_BODY], body[MAX_BODY];
	static struct orders orders;
	size_t length = fread(sound, 1, sizeof(sound), stdin);
	uint64_t taken = 0, count;

	if (argc != 3 || length == 0)
		return EXIT_FAILURE;
	state = strtoull(argv[1], NULL, 10) | 1;
	count = strtoull(argv[2], NULL, 10);
	must(parse_orders(&orders, sound, length), "sound orders are refused");
	for (uint64_t i = 0; i < count; i++) {
		memcpy(body, sound, length);
		size_t given = change(body, length);
		if (!parse_orders(&orders, body, given))
			continue;
		check(&orders, given);
		taken++;
	}
	printf("%" PRIu64 " of %" PRIu64 " taken\n", taken, count);
	return EXIT_SUCCESS;
}
