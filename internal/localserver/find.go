package localserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotFound: no server of the flavor is on this machine.
var ErrNotFound = errors.New("no server found; scripts/servers gets one")

// ErrNoGalera: the library of MariaDB's clusters is not on this machine.
var ErrNoGalera = errors.New("no libgalera_smm.so found; scripts/galera gets it")

// Find returns the path of the flavor's server: the one that MIDFLIGHT_MYSQLD
// or MIDFLIGHT_MARIADBD names, else the one that scripts/servers has put into
// the cache, else the one on PATH.
func Find(f Flavor) (string, error) {
	program, variable := "mysqld", "MIDFLIGHT_MYSQLD"
	if f == MariaDB {
		program, variable = "mariadbd", "MIDFLIGHT_MARIADBD"
	}
	if path := os.Getenv(variable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("find the server that %s names: %w", variable, err)
		}
		return path, nil
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	if path := filepath.Join(cache, string(f), "bin", program); isFile(path) {
		return path, nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", f, ErrNotFound)
	}
	// Many systems' mysqld is a link to MariaDB.
	if v, err := version(path); f == MySQL && (err != nil || strings.Contains(v, "MariaDB")) {
		return "", fmt.Errorf("find %s: %w", f, ErrNotFound)
	}
	return path, nil
}

// FindGalera returns the path of libgalera_smm.so: the one that MIDFLIGHT_GALERA names,
// else the one that scripts/galera has put into the cache.
func FindGalera() (string, error) {
	if path := os.Getenv("MIDFLIGHT_GALERA"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("find the library that MIDFLIGHT_GALERA names: %w", err)
		}
		return path, nil
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "galera", "root", "usr", "lib", "galera", "libgalera_smm.so")
	if !isFile(path) {
		return "", ErrNoGalera
	}
	return path, nil
}

// cacheDir is the folder that scripts/servers fills; keep the two in step.
func cacheDir() (string, error) {
	if dir := os.Getenv("MIDFLIGHT_CACHE"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "midflight"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(home, ".cache", "midflight"), nil
}

func version(path string) (string, error) {
	out, err := exec.Command(path, "--no-defaults", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	return string(out), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
