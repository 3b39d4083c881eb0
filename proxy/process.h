/* What the process may do and have, set before anything else is started. Both processes. */
#ifndef PGUMBRA_PROXY_PROCESS_H
#define PGUMBRA_PROXY_PROCESS_H

/* No core is dumped, of our children neither, and no process of the same user may look into our
 * memory (ptrace). */
void process_forbid_dumps(void);
/* The same in a child, if its parent did so: looking into the memory is allowed again at each exec.
 */
void process_inherit_dumps(void);

#endif
