/* When the guardian lets go of what, once it acts. */
#include "withdrawal.h"

void begin_withdrawal(struct orders *orders, uint64_t now_ms)
{
	for (uint32_t i = 0; i < orders->farewell_count; i++) {
		struct farewell *f = &orders->farewells[i];
		f->until = f->sent ? now_ms + orders->hold_ms : now_ms;
	}
}

void note_packet(struct orders *orders, int ear, const struct packet *packet, uint64_t now_ms)
{
	for (uint32_t i = 0; i < orders->farewell_count; i++) {
		struct farewell *f = &orders->farewells[i];
		if (f->ear != ear || f->heard || f->gone || !is_successor(f, packet))
			continue;
		f->heard = true;
		if (now_ms + GRACE_MS < f->until)
			f->until = now_ms + GRACE_MS;
	}
}

struct farewell *next_to_let_go(struct orders *orders, uint64_t now_ms)
{
	for (uint32_t i = 0; i < orders->farewell_count; i++) {
		struct farewell *f = &orders->farewells[i];
		if (f->gone || f->until > now_ms)
			continue;
		f->gone = true;
		return f;
	}
	return NULL;
}

uint64_t next_due(const struct orders *orders)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < orders->farewell_count; i++) {
		const struct farewell *f = &orders->farewells[i];
		if (!f->gone && f->until < next)
			next = f->until;
	}
	return next;
}
