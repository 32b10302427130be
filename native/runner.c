/*
 * Runs one command for the services process, which is at the other end of descriptor 3: when that process is gone,
 * however it ended, so is the command with all that it started. It is the command's parent, so that no other process
 * can have taken over the ids it sends signals to, and the adopter of orphans, so that nothing below it gets away
 * while it waits.
 *
 *     runner UID GID FILE [ARGUMENT ...]      3: a stream socket; UID and GID may be '-' for no change
 *
 * It hears one letter for each wish: 'T' sends SIGTERM to the command's process group, 'K' and the end of the stream
 * kill all that there is. It says one thing: the number of an errno, when the command could not be executed.
 * It ends as the command did, with the rest of the command's process group killed; what left the group then stays.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFELINE = 3, NOT_EXECUTED = 127 };

/* Those that are for the command, not for who keeps it. */
static const int IGNORED[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};

static void set_all(void (*disposition)(int))
{
	for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++) signal(IGNORED[i], disposition);
}

static bool become(const char *uid, const char *gid)
{
	if (strcmp(uid, "-") == 0) return true;
	gid_t group = (gid_t)strtoul(gid, NULL, 10);
	uid_t user = (uid_t)strtoul(uid, NULL, 10);
	return setgroups(0, NULL) == 0 && setresgid(group, group, group) == 0 && setresuid(user, user, user) == 0;
}

static _Noreturn void execute(char **argv, const sigset_t *mask, pid_t runner)
{
	setpgid(0, 0);
	if (become(argv[1], argv[2])) {
		/* For a runner that somebody kills; a change of user would have undone it. It may be dead by now. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != runner) _exit(NOT_EXECUTED);
		set_all(SIG_DFL);
		sigprocmask(SIG_SETMASK, mask, NULL);
		execvp(argv[3], argv + 3);
	}
	dprintf(LIFELINE, "%d\n", errno);
	_exit(NOT_EXECUTED);
}

/* Parent of process `pid`, or -1. proc_pid_stat(5): pid (comm) state ppid ...; comm may hold brackets. */
static pid_t parent_of(const char *pid)
{
	char path[64], text[256];
	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) return -1;
	ssize_t length = read(file, text, sizeof text - 1);
	close(file);
	if (length <= 0) return -1;
	text[length] = '\0';
	const char *end = strrchr(text, ')');
	int parent;
	return end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

/* Children are not waited for meanwhile, so each id found is still theirs. */
static void kill_children(void)
{
	DIR *proc = opendir("/proc");
	if (proc == NULL) return;
	struct dirent *entry;
	while ((entry = readdir(proc)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]) && parent_of(entry->d_name) == getpid())
			kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
	}
	closedir(proc);
}

static _Noreturn void end_as(const siginfo_t *ended)
{
	if (ended->si_code == CLD_EXITED) _exit(ended->si_status);
	const struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, ended->si_status);
	signal(ended->si_status, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(ended->si_status);
	_exit(128 + ended->si_status);
}

/* Reaps who ended; true when there is nothing left to wait for. `ending`: what the dead leave behind is killed too. */
static bool reap(pid_t command, bool ending, siginfo_t *ended)
{
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return true;
		if (info.si_pid == 0) break;
		if (info.si_pid == command) {
			*ended = info;
			kill(-command, SIGKILL);
			if (!ending) return true;
		}
		waitpid(info.si_pid, NULL, 0);
	}
	if (ending) kill_children();
	return false;
}

int main(int argc, char **argv)
{
	if (argc < 4) return NOT_EXECUTED;
	prctl(PR_SET_NAME, "lvs-command");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fcntl(LIFELINE, F_SETFD, FD_CLOEXEC);
	sigset_t children, before;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, &before);
	set_all(SIG_IGN);
	int deaths = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	pid_t runner = getpid();
	pid_t command = deaths < 0 ? -1 : fork();
	if (command == 0) execute(argv, &before, runner);
	if (command < 0) {
		dprintf(LIFELINE, "%d\n", errno);
		return NOT_EXECUTED;
	}
	/* Both sides do it: whoever comes first. */
	setpgid(command, command);

	struct pollfd watched[] = {{deaths, POLLIN, 0}, {LIFELINE, POLLIN, 0}};
	siginfo_t ended = {0};
	bool ending = false, over = false;
	while (!over) {
		if (poll(watched, 2, -1) < 0) continue;
		if (watched[1].revents != 0) {
			char wish = 'K';
			ssize_t length = read(LIFELINE, &wish, 1);
			if (length <= 0) {
				wish = 'K';
				watched[1].fd = -1;
			}
			if (ended.si_pid == 0) kill(-command, wish == 'T' ? SIGTERM : SIGKILL);
			if (wish == 'K') {
				ending = true;
				kill_children();
			}
		}
		if (watched[0].revents != 0) {
			struct signalfd_siginfo taken;
			while (read(deaths, &taken, sizeof taken) > 0) continue;
			over = reap(command, ending, &ended);
		}
	}
	end_as(&ended);
}
