/* A simulated AVR, driven through its standard input and output. Built on the fly; the arguments are the name of
   the part and a file with the bytes of its flash. Commands, numbers little-endian as the computer has them:

   r address size          -> the bytes of data memory
   w address size bytes
   b address               a breakpoint on this byte of flash
   m address               a library function that multiplies: its calls are counted
   c                       begin the counts anew
   x pc                    run to a breakpoint after at least one instruction
                           -> state pc (32 bits each), cycles instructions multiplies soft (64 each), lowest SP
   Each command's reply is flushed. state: 0 at a breakpoint, 1 where the part stopped or left its memories. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/sim_avr.h>

extern avr_flashaddr_t avr_run_one(avr_t *avr); /* one instruction; declared in a header that is not installed whole */

static avr_t *avr;
static uint8_t *breaks, *soft;

struct told {
    uint32_t state, pc;
    uint64_t cycles, instructions, multiplies, soft;
    uint64_t lowest;
};

static struct told now;

static uint32_t number(void)
{
    uint32_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1) {
        exit(0);
    }
    return value;
}

static void silent(avr_t *part, const int level, const char *format, va_list arguments)
{
    (void)part;
    (void)level;
    (void)format;
    (void)arguments;
}

/* mul, muls, mulsu and the fractional ones. */
static int multiplies(uint32_t pc)
{
    const unsigned opcode = avr->flash[pc] | (unsigned)avr->flash[pc + 1] << 8;
    return (opcode & 0xFC00u) == 0x9C00u || (opcode & 0xFF00u) == 0x0200u || (opcode & 0xFF00u) == 0x0300u;
}

static void run(uint32_t pc)
{
    avr->pc = pc;
    avr->state = cpu_Running;
    now.state = 1;
    while (avr->pc < avr->flashend) {
        const avr_cycle_count_t before = avr->cycle;
        uint32_t sp;
        now.multiplies += (uint64_t)multiplies(avr->pc);
        now.soft += soft[avr->pc];
        avr->run_cycle_count = 1;
        avr->pc = avr_run_one(avr);
        now.cycles += avr->cycle - before;
        now.instructions++;
        sp = avr->data[R_SPL] | (uint32_t)avr->data[R_SPH] << 8;
        if (sp < now.lowest) {
            now.lowest = sp;
        }
        if (avr->state != cpu_Running) {
            break;
        }
        if (breaks[avr->pc]) {
            now.state = 0;
            break;
        }
    }
    now.pc = avr->pc;
    fwrite(&now, sizeof now, 1, stdout);
}

static void serve(int command)
{
    uint32_t address, size;
    switch (command) {
    case 'r':
        address = number();
        size = number();
        fwrite(avr->data + address, 1, size, stdout);
        break;
    case 'w':
        address = number();
        size = number();
        if (fread(avr->data + address, 1, size, stdin) != size) {
            exit(1);
        }
        break;
    case 'b':
        breaks[number()] = 1;
        break;
    case 'm':
        soft[number()] = 1;
        break;
    case 'c':
        now.cycles = now.instructions = now.multiplies = now.soft = 0;
        break;
    case 'x':
        run(number());
        break;
    default:
        exit(1);
    }
}

int main(int count, char **arguments)
{
    FILE *file;
    int command;
    uint8_t *code;
    size_t size;
    if (count != 3 || (file = fopen(arguments[2], "rb")) == NULL) {
        return 2;
    }
    avr_global_logger_set(silent);
    avr = avr_make_mcu_by_name(arguments[1]);
    if (avr == NULL) {
        return 3;
    }
    avr_init(avr);
    code = malloc(avr->flashend + 1);
    breaks = calloc(avr->flashend + 2, 1);
    soft = calloc(avr->flashend + 2, 1);
    size = fread(code, 1, avr->flashend + 1, file);
    avr_loadcode(avr, code, (uint32_t)size, 0);
    now.lowest = avr->ramend;
    while ((command = getchar()) != EOF) {
        serve(command);
        if (command == 'r' || command == 'x') {
            fflush(stdout);
        }
    }
    return 0;
}
