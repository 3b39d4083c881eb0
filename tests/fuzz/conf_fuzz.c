/* Whatever an INI text holds: it is read or refused with a message, and what was read goes through
 * its own INI form unchanged. The form for people, without passwords, can be read too. */
#include "conf/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct config *c)
{
	struct conf_messages messages = {0};
	struct config *again = config_new();
	char *first = config_to_ini(c, false, true), *second, *public;
	bool good;

	assert(again && first);
	good = config_read_text(again, "again", first, &messages);
	assert(good && messages.count == 0);
	second = config_to_ini(again, false, true);
	assert(second && strcmp(first, second) == 0);
	public = config_to_ini(c, true, false);
	assert(public);
	config_free(again);
	again = config_new();
	assert(again);
	good = config_read_text(again, "public", public, &messages);
	assert(good && messages.count == 0);
	conf_messages_release(&messages);
	config_free(again);
	free(first);
	free(second);
	free(public);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_messages messages = {0};
	struct config *c = config_new();
	char *text = malloc(size + 1);
	bool good;

	assert(c && text);
	memcpy(text, data, size);
	text[size] = '\0';
	good = config_read_text(c, "fuzz", text, &messages);
	assert(good == (messages.count == 0));
	config_check(c, &messages);
	read_back(c);
	conf_messages_release(&messages);
	config_free(c);
	free(text);

	return 0;
}
