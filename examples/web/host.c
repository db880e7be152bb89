/* host.c -- the same on a desktop: the hash of the answer to each question, `hash question`.
 *
 *     build/strict/web 'path law=kinds steps=20' 'clothes points=56'
 *     build/strict/web <examples/web/questions.txt */
#include "web.h"
#include <stdio.h>

static int answer(const char *question)
{
    char *line = web_line();
    if (strlen(question) >= WEB_LINE) return fprintf(stderr, "web: the line is too long\n"), 0;
    memcpy(line, question, strlen(question) + 1);
    if (!web_ask()) return fprintf(stderr, "web: %s: %s\n", question, line), 0;
    while (web_more()) { }
    if (*line) return fprintf(stderr, "web: %s: %s\n", question, line), 0;
    printf("%s %s\n", web_hash(), question);
    return 1;
}

int main(int argc, char **argv)
{
    char question[WEB_LINE + 2];
    int good = 1;
    for (int i = 1; i < argc; i++) good &= answer(argv[i]);
    while (argc == 1 && fgets(question, sizeof question, stdin)) {
        question[strcspn(question, "\n")] = 0;
        if (*question && *question != '#') good &= answer(question);
    }
    return !good;
}
