/* Classic BPF on a socket: these options take a pointer, which no option's bytes can hold. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/*
 * (handle, program): the bytes of struct sock_filter, 8 for each instruction. It takes the place of the one before at
 * once. EINVAL for a program that the kernel refuses, ENOMEM when net.core.optmem_max has no room for it.
 */
static napi_value attach(napi_env env, napi_callback_info info, int option)
{
	struct sock_filter instructions[BPF_MAXINSNS];
	struct sock_fprog program = {.filter = instructions};
	napi_value argv[2];
	void *bytes;
	size_t length;
	int fd;

	if (!addon_arguments(env, info, 2, argv) || (fd = addon_descriptor(env, argv[0])) < 0 ||
	    !addon_bytes(env, argv[1], &bytes, &length))
		return NULL;
	if (length == 0 || length % sizeof(*instructions) != 0 || length > sizeof(instructions))
		return addon_throw(env, EINVAL, "setsockopt");
	memcpy(instructions, bytes, length);
	program.len = (unsigned short)(length / sizeof(*instructions));
	if (setsockopt(fd, SOL_SOCKET, option, &program, sizeof(program)) < 0)
		return addon_throw(env, errno, "setsockopt");
	return NULL;
}

/* attachFilter: which messages the socket takes */
napi_value attach_filter(napi_env env, napi_callback_info info)
{
	return attach(env, info, SO_ATTACH_FILTER);
}

/* attachDivision: which of the sockets bound to one address gets a message */
napi_value attach_division(napi_env env, napi_callback_info info)
{
	return attach(env, info, SO_ATTACH_REUSEPORT_CBPF);
}
