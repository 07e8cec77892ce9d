package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is what /proc counts CPU time in: USER_HZ, 100 on every Linux that
// runs here.
const clockTick = 10 * time.Millisecond

// cpuTime is the CPU time of a process, all its threads together; 0 for pid 0.
func cpuTime(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read a process's CPU time: %w", err)
	}
	return parseStat(string(b))
}

// parseStat reads utime and stime, fields 14 and 15 of proc_pid_stat(5). The
// second field, the program's name, may contain anything, also ") ".
func parseStat(stat string) (time.Duration, error) {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const first = 3 // number of the field f begins with
	if len(f) <= 15-first {
		return 0, fmt.Errorf("read /proc/PID/stat: too short: %q", stat)
	}
	user, err := strconv.ParseInt(f[14-first], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read /proc/PID/stat: %w", err)
	}
	system, err := strconv.ParseInt(f[15-first], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read /proc/PID/stat: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// resident is the memory of a process that is in RAM, in KiB.
func resident(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read a process's memory: %w", err)
	}
	return parseResident(string(b))
}

func parseResident(status string) (int, error) {
	_, rest, ok := strings.Cut(status, "\nVmRSS:")
	f := strings.Fields(rest)
	if !ok || len(f) < 2 || f[1] != "kB" {
		return 0, fmt.Errorf("read /proc/PID/status: no VmRSS in kB")
	}
	return strconv.Atoi(f[0])
}
