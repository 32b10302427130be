/* What the guardian says. Nothing here may block: it has a host to withdraw. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "words.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * poll(2) knows of pipes, sockets and terminals whether a write would block. Of a file it does not, and the file system may
 * hang: then a child waits for it. One at a time; what comes meanwhile is dropped.
 */
static bool stderr_is_file;

static void write_words(const char *line)
{
	static pid_t writer;
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (stderr_is_file) {
		if (writer > 0 && waitpid(writer, NULL, WNOHANG) == 0)
			return;
		writer = fork();
		if (writer != 0)
			return;
		/* Its end must not look like the guardian's own. */
		close(ORDERS_FD);
	} else if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) {
		return;
	}
	(void)!write(STDERR_FILENO, line, strlen(line));
	if (stderr_is_file)
		_exit(EXIT_SUCCESS);
}

/* One line to stderr; dropped when nobody would take it at once, for nothing here may block. */
void say(const char *format, ...)
{
	char line[512] = "guardian: ";
	size_t start = strlen(line);
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(line + start, sizeof(line) - start - 1, format, values);
	va_end(values);
	if (length < 0)
		return;
	line[strlen(line)] = '\n'; /* the array is zeroed beyond what vsnprintf wrote */
	write_words(line);
}

void answer(char byte)
{
	/* It may be a pipe, or nobody may be there any more: then nobody needs the answer. */
	(void)!send(ORDERS_FD, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void look_at_stderr(void)
{
	struct stat words;

	stderr_is_file = fstat(STDERR_FILENO, &words) == 0 && S_ISREG(words.st_mode);
}
