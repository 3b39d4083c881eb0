#include "proxy/shadow/dark_read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct dark_read *dark_read_new(void)
{
	struct dark_read *read = calloc(1, sizeof *read);

	if (!read)
		return NULL;
	read->references = 1;
	result_init(&read->primary, 0);

	return read;
}

struct dark_read *dark_read_derive(struct dark_read *of, const char *sql)
{
	struct dark_read *read = malloc(sizeof *read);
	char *text = strdup(sql);

	if (!read || !text) {
		free(read);
		free(text);
		return NULL;
	}
	*read = *of;
	read->references = 1;
	read->of = dark_read_ref(of);
	read->sql = text;
	read->named = false;
	read->row_limit = 0;
	read->nresult_formats = 0;
	result_init(&read->primary, 0);
	if (read->nparam_types == 0 && read->nvalue_types == read->nparams) {
		read->param_types = read->value_types; /* nothing may be left to infer them from */
		read->nparam_types = read->nvalue_types;
	}

	return read;
}

struct dark_read *dark_read_twice(struct dark_read *of)
{
	struct dark_read *read = dark_read_derive(of, of->sql);

	if (!read)
		return NULL;
	read->nparam_types = of->nparam_types;
	read->param_types = of->param_types;
	read->nresult_formats = of->nresult_formats;
	read->row_limit = of->row_limit;
	read->twice = true;

	return read;
}

struct dark_read *dark_read_ref(struct dark_read *read)
{
	assert(read->references > 0);
	read->references++;

	return read;
}

static void release_settings(struct dark_read *read)
{
	if (read->list) {
		setting_list_unref(read->list);
		return;
	}
	for (size_t i = 0; i < read->nsettings; i++) {
		free(read->settings[i].name);
		free(read->settings[i].value);
	}
	free(read->settings);
}

static void release_names(struct dark_read *read)
{
	if (read->names) {
		texts_unref(read->names);
		return;
	}
	free(read->database);
	free(read->user);
	free(read->application_name);
	free(read->role);
}

void dark_read_list(struct dark_read *read, struct setting_list *list)
{
	struct setting_list *own = setting_list_ref(list);

	release_settings(read);
	read->list = own;
	read->settings = own->setting;
	read->nsettings = own->count;
	read->settings_hash = own->hash;
}

void dark_read_names(struct dark_read *read, struct texts *names)
{
	assert(names->count == NAMED);
	release_names(read);
	read->names = texts_ref(names);
	read->user = (char *)names->text[NAMED_USER]; /* never written to */
	read->database = (char *)names->text[NAMED_DATABASE];
	read->application_name = (char *)names->text[NAMED_APPLICATION];
	read->role = (char *)names->text[NAMED_ROLE];
}

void dark_read_unref(struct dark_read *read)
{
	if (!read)
		return;
	assert(read->references > 0);
	if (--read->references > 0)
		return;

	if (read->of) {
		result_release(&read->primary);
		free(read->sql);
		dark_read_unref(read->of);
		free(read);
		return;
	}
	release_settings(read);
	if (read->statement)
		statement_unref(read->statement);
	result_release(&read->primary);
	release_names(read);
	free(read->sql);
	free(read->param_types);
	free(read->value_types);
	free(read->param_formats);
	free(read->params);
	free(read->result_formats);
	free(read->null_as);
	free(read->memory);
	free(read);
}
