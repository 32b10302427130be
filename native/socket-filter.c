/* Classic BPF on a socket: SO_ATTACH_FILTER takes a pointer, which no option's bytes can hold. */
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
 * attachFilter(handle, program): the bytes of struct sock_filter, 8 for each instruction. It takes the place of the one
 * before at once. EINVAL for a program that the kernel refuses, ENOMEM when net.core.optmem_max has no room for it.
 */
napi_value attach_filter(napi_env env, napi_callback_info info)
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
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return addon_throw(env, errno, "setsockopt");
	return NULL;
}
