/* Runs a fuzz target over every file of a corpus directory: the fuzzers' plain form, for each test
 * run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *directory, const char *name)
{
	char path[4096];
	uint8_t *data;
	long size;
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file) {
		perror(path);
		return -1;
	}
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = malloc(size > 0 ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		fprintf(stderr, "%s: cannot read\n", path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);

	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	int count = 0;
	DIR *directory;

	directory = argc == 2 ? opendir(argv[1]) : NULL;
	if (!directory) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.' && replay(argv[1], entry->d_name) == 0)
			count++;
	closedir(directory);
	if (count == 0) {
		fprintf(stderr, "%s: the corpus is empty\n", argv[1]);
		return 1;
	}
	printf("replayed %d inputs\n", count);

	return 0;
}
