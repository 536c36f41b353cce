package stacks

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/prism-data-layer/prism/pkg/config"
)

// secretFile is the file of a secret: its owner's alone.
func (i *Instance) secretFile(name string) string {
	return filepath.Join(i.folder(), name+".secret")
}

// secret gives a secret of the project's, which is made once: whoever runs has
// read it.
func (i *Instance) secret(name string) (string, error) {
	text, err := readSecret(i.secretFile(name))
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	// 130 bits, and a letter of each kind: there are servers that ask for it.
	text = rand.Text() + "-a1"
	if err := os.Remove(i.hashFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return text, config.WriteFile(i.secretFile(name), []byte(text+"\n"))
}

// bcrypt gives the secret's hash, which is made once too: a file that holds it
// stays the same.
func (i *Instance) bcrypt(name string) (string, error) {
	secret, err := i.secret(name)
	if err != nil {
		return "", err
	}
	hash, err := readSecret(i.hashFile(name))
	if !errors.Is(err, fs.ErrNotExist) {
		return hash, err
	}
	made, err := bcrypt.GenerateFromPassword([]byte(secret), cmp.Or(i.project.cost, bcrypt.DefaultCost))
	if err != nil {
		return "", err
	}
	return string(made), config.WriteFile(i.hashFile(name), append(made, '\n'))
}

func (i *Instance) hashFile(name string) string {
	return filepath.Join(i.folder(), name+".bcrypt")
}

func readSecret(file string) (string, error) {
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}
