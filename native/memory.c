/* Which pages of the program this process has, and which of them it keeps. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * lockMemory() -> number of mappings: program, libraries, malloc's heap and the stack stay in memory, each page once
 * it is touched. Not mlockall(2): V8 gives pages of its heap back by madvise(2), which the kernel refuses for locked
 * ones, and V8 aborts then (MemoryChunk::DiscardUnusedMemory). Its heap is anonymous and leaves memory by swapping
 * alone, which is the control group's affair (memory.swap.max).
 */
napi_value lock_memory(napi_env env, napi_callback_info info)
{
	napi_value result;
	int32_t locked = 0;
	int error = 0;
	char *line = NULL;
	size_t room = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	(void)info;

	if (maps == NULL)
		return addon_throw(env, errno, "fopen");
	while (error == 0 && getline(&line, &room, maps) > 0) {
		unsigned long start, end, inode;
		char mode[5], name[16] = "";

		if (sscanf(line, "%lx-%lx %4s %*s %*s %lu %15s", &start, &end, mode, &inode, name) < 4)
			continue;
		if (inode == 0 && strcmp(name, "[heap]") != 0 && strcmp(name, "[stack]") != 0)
			continue;
		if (mlock2((void *)start, end - start, MLOCK_ONFAULT) == 0)
			locked++;
		else
			error = errno;
	}
	free(line);
	fclose(maps);
	if (error != 0)
		return addon_throw(env, error, "mlock2");
	return napi_create_int32(env, locked, &result) == napi_ok ? result : NULL;
}

/*
 * releaseCode() -> bytes: lets go of the pages of program and libraries that nobody has changed (MADV_DONTNEED). They stay
 * in the page cache, and whatever is needed again is mapped again when it is touched. Most of what a start touches is
 * never needed again: of Node.js some 30 MiB. Mappings that can be written, that hold a changed page, or that are locked
 * are left alone.
 */
napi_value release_code(napi_env env, napi_callback_info info)
{
	napi_value result;
	char *line = NULL;
	size_t room = 0;
	unsigned long start = 0, end = 0;
	unsigned long long kilobytes, mapped = 0, released = 0;
	bool candidate = false;
	FILE *maps = fopen("/proc/self/smaps", "re");
	(void)info;

	if (maps == NULL)
		return addon_throw(env, errno, "fopen");
	while (getline(&line, &room, maps) > 0) {
		unsigned long from, to, inode;
		char mode[5];

		if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &from, &to, mode, &inode) == 4) {
			start = from;
			end = to;
			candidate = inode != 0 && mode[1] == '-' && mode[3] == 'p';
		} else if (sscanf(line, "Rss: %llu", &kilobytes) == 1) {
			mapped = kilobytes;
		} else if (sscanf(line, "Anonymous: %llu", &kilobytes) == 1 && kilobytes == 0 && candidate) {
			/* Refused where it is locked. */
			if (madvise((void *)start, end - start, MADV_DONTNEED) == 0)
				released += mapped * 1024;
		}
	}
	free(line);
	fclose(maps);
	return napi_create_double(env, (double)released, &result) == napi_ok ? result : NULL;
}
