package proxy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// newRSAKey makes a key as long as the one that a server makes for itself.
func newRSAKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make an RSA key: %w", err)
	}
	return key, nil
}

// publicPEM is a key as servers send it.
func publicPEM(key *rsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// encryptPassword encrypts a password, its final zero included, for the server
// whose key is publicKey.
func encryptPassword(password, salt, publicKey []byte) ([]byte, error) {
	block, _ := pem.Decode(publicKey)
	if block == nil {
		return nil, errors.New("the server's public key is not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the server's public key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the server's public key is a %T, not RSA", parsed)
	}
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, key, mask(password, salt), nil)
}

func decryptPassword(cipher, salt []byte, key *rsa.PrivateKey) ([]byte, error) {
	p, err := rsa.DecryptOAEP(sha1.New(), nil, key, cipher, nil)
	if err != nil {
		return nil, err
	}
	return mask(p, salt), nil
}

// mask is the plugins' XOR with the salt, in both directions.
func mask(password, salt []byte) []byte {
	p := make([]byte, len(password))
	for i := range p {
		p[i] = password[i]
		if len(salt) > 0 {
			p[i] ^= salt[i%len(salt)]
		}
	}
	return p
}
