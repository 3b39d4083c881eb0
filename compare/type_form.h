/* A column's type as PostgreSQL writes it: its name, and what the type modifier says of it
 * ("numeric(10,2)", "varchar(20)", "timestamp(3)", "interval day to second(3)").
 *
 * The name is the one of the discrepancy log, so that logs of earlier versions are read as well; a
 * trailing [] stands behind the modifier. A modifier that isn't known here follows as it is.
 */
#ifndef PGUMBRA_COMPARE_TYPE_FORM_H
#define PGUMBRA_COMPARE_TYPE_FORM_H

#include <stddef.h>
#include <stdint.h>

/* typmod: of the RowDescription, -1 for none. Cuts what doesn't fit. */
void type_form(const char *name, int32_t typmod, char *out, size_t size);

#endif
