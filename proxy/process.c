#include "proxy/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>

/* LeakSanitizer looks into the memory itself. */
static void forbid_looking(void)
{
#ifndef __SANITIZE_ADDRESS__
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

void process_forbid_dumps(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none); /* lowering can't fail */
	forbid_looking();
}

void process_inherit_dumps(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0)
		forbid_looking();
}
