/* What the guardian says, to people and to its daemon. */
#ifndef LVS_DIRECTOR_WORDS_H
#define LVS_DIRECTOR_WORDS_H

enum { ORDERS_FD = 3 };

/* Whether stderr is a file. Once, at the start: of a file system that hangs even this may be slow. */
void look_at_stderr(void);

/* One line to stderr; dropped when nobody would take it at once. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* One byte to the daemon: R, X, A or D, as guardian.c tells. */
void answer(char byte);

#endif
