//go:build cgo

package journal

/*
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t page;

static void zeros(int sig, siginfo_t *info, void *context) {
	void *at = (void *)((uintptr_t)info->si_addr & -page);
	if (info->si_code != BUS_ADRERR || mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		signal(sig, SIG_DFL);
		raise(sig); // for one that was sent
	}
}

static void readZeros(void) {
	struct sigaction action = {.sa_sigaction = zeros, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	page = sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &action, 0);
}
*/
import "C"

// libsystemd maps the files. A page that cannot be read, on a bad disk or of a file that was cut meanwhile,
// raises SIGBUS, which would end the pass. It reads as zeros instead, as in sigbus.c of systemd's own
// programs, which the library leaves to its callers.
func init() { C.readZeros() }
