/* What the parts of load.c share. */
#ifndef LOAD_H
#define LOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct place {
	struct sockaddr_storage address;
	socklen_t length;
};

/* Milliseconds that only grow. */
int64_t now_ms(void);
/* Ends the program with the words of errno. */
_Noreturn void die(const char *what);
/* An address of either family with a port; ends the program when it is none. */
struct place place_of(const char *address, const char *port);
/* `data` comes back with the event. */
void watch(int poll, int fd, void *data, uint32_t events, int how);

/* NAME --http PORT --tcp PORT --udp PORT ... until it is killed. */
_Noreturn void serve(const char *name, char **options);

#endif
