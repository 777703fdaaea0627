/*
 * The smallest init: says that it runs and powers the machine off. No C library, so that what the benchmark
 * measures is the kernel.
 */

enum { STDOUT = 1 };

/* <linux/reboot.h> */
#define MAGIC1 0xfee1dead
#define MAGIC2 672274793
#define POWER_OFF 0x4321fedc

#if defined(__x86_64__)
enum { SYS_write = 1, SYS_reboot = 169 };

static long syscall3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
enum { SYS_write = 64, SYS_reboot = 142 };

static long syscall3(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}
#endif

void _start(void)
{
	static const char hello[] = "init runs\n";

	syscall3(SYS_write, STDOUT, (long)hello, sizeof(hello) - 1);
	syscall3(SYS_reboot, MAGIC1, MAGIC2, POWER_OFF);
	for (;;)
		;
}
