/* The process itself: its priority, its lock, its end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* Set when a thread used up RLIMIT_RTTIME and lost its real-time priority. */
static volatile sig_atomic_t real_time_lost;

/*
 * A real-time thread that does not sleep for so long is given up: a reload of a huge file may take it, and a loop
 * gone wild must not freeze a host with one processor. The kernel's own throttling (sched_rt_runtime_us) leaves
 * others only a twentieth, and some systems switch it off.
 */
static const rlim_t MAX_SPIN_US = 1000000;

static void on_spinning(int signal)
{
	static const struct sched_param normal = {.sched_priority = 0};
	int saved = errno;
	(void)signal;
	/* The signal goes to the process; the thread that spins is the event loop's, or this one. */
	sched_setscheduler(getpid(), SCHED_OTHER | SCHED_RESET_ON_FORK, &normal);
	sched_setscheduler((pid_t)syscall(SYS_gettid), SCHED_OTHER | SCHED_RESET_ON_FORK, &normal);
	real_time_lost = 1;
	errno = saved;
}

/*
 * setRealTime(priority) -> number of threads: SCHED_RR for all threads there are, since the event loop waits for
 * those that collect garbage or read files. Children start with the normal policy (SCHED_RESET_ON_FORK), and so do
 * threads made later.
 */
napi_value set_real_time(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result;
	struct sched_param wanted = {0};
	struct sigaction action = {.sa_handler = on_spinning, .sa_flags = SA_RESTART};
	struct rlimit limit;
	int32_t priority, threads = 0;
	int error = 0;
	struct dirent *entry;
	DIR *tasks;

	if (!addon_arguments(env, info, 1, argv) || !addon_int(env, argv[0], &priority))
		return NULL;
	if (sigaction(SIGXCPU, &action, NULL) < 0)
		return addon_throw(env, errno, "sigaction");
	if (getrlimit(RLIMIT_RTTIME, &limit) < 0)
		return addon_throw(env, errno, "getrlimit");
	limit.rlim_cur = limit.rlim_max < MAX_SPIN_US ? limit.rlim_max : MAX_SPIN_US;
	if (setrlimit(RLIMIT_RTTIME, &limit) < 0)
		return addon_throw(env, errno, "setrlimit");
	wanted.sched_priority = priority;
	tasks = opendir("/proc/self/task");
	if (tasks == NULL)
		return addon_throw(env, errno, "opendir");
	while (error == 0 && (entry = readdir(tasks)) != NULL) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
		if (thread <= 0)
			continue;
		if (sched_setscheduler(thread, SCHED_RR | SCHED_RESET_ON_FORK, &wanted) == 0)
			threads++;
		else if (errno != ESRCH) /* a thread may have ended meanwhile */
			error = errno;
	}
	closedir(tasks);
	if (error != 0)
		return addon_throw(env, error, "sched_setscheduler");
	real_time_lost = 0;
	TRY(napi_create_int32(env, threads, &result));
	return result;
}

/* realTimeLost() -> whether a thread spun and was given up since the last setRealTime() */
napi_value get_real_time_lost(napi_env env, napi_callback_info info)
{
	napi_value result;
	(void)info;
	TRY(napi_get_boolean(env, real_time_lost != 0, &result));
	return result;
}

/* lockDirectory(path) -> descriptor: flock(2), which the kernel drops with the process; EAGAIN when taken */
napi_value lock_directory(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result;
	char path[4096];
	size_t length;
	int fd, error;

	if (!addon_arguments(env, info, 1, argv))
		return NULL;
	if (napi_get_value_string_utf8(env, argv[0], path, sizeof(path), &length) != napi_ok)
		return addon_throw_type(env, "a path is expected");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return addon_throw(env, errno, "open");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		error = errno;
		close(fd);
		return addon_throw(env, error, "flock");
	}
	TRY(napi_create_int32(env, fd, &result));
	return result;
}

/* dieWithParent(): SIGKILL when the thread that started this process ends (PR_SET_PDEATHSIG) */
napi_value die_with_parent(napi_env env, napi_callback_info info)
{
	(void)info;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return addon_throw(env, errno, "prctl");
	return NULL;
}

/* exitNow(status): _exit(2). exit(3) would wait for libuv's threads, and one may hang in a write(2). */
napi_value exit_now(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	int32_t status;

	if (!addon_arguments(env, info, 1, argv) || !addon_int(env, argv[0], &status))
		return NULL;
	_exit(status);
}

/* killIn(ms): SIGALRM, whose default action ends the process even where it hangs in a killable system call */
napi_value kill_in(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct itimerval timer = {0};
	int32_t ms;

	if (!addon_arguments(env, info, 1, argv) || !addon_int(env, argv[0], &ms))
		return NULL;
	if (ms < 1)
		return addon_throw(env, EINVAL, "setitimer");
	timer.it_value.tv_sec = ms / 1000;
	timer.it_value.tv_usec = ms % 1000 * 1000;
	if (setitimer(ITIMER_REAL, &timer, NULL) < 0)
		return addon_throw(env, errno, "setitimer");
	return NULL;
}
