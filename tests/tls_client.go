// Talks to a server over TLS with Go's own TLS: HOST PORT CERTIFICATE. A WebSocket (RFC 6455) by hand, whose messages must come back.
// Prints how many did.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
)

const binaryMessage = 2

func frame(payload []byte) []byte {
	const masked = 0x80
	head := []byte{0x80 | binaryMessage}
	switch {
	case len(payload) < 126:
		head = append(head, masked|byte(len(payload)))
	case len(payload) < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, masked|126), uint16(len(payload)))
	default:
		head = binary.BigEndian.AppendUint64(append(head, masked|127), uint64(len(payload)))
	}
	mask := []byte{1, 2, 3, 4}
	head = append(head, mask...)
	for i, one := range payload {
		head = append(head, one^mask[i%4])
	}
	return head
}

func read(in io.Reader) []byte {
	var head [2]byte
	must(io.ReadFull(in, head[:]))
	size := uint64(head[1])
	if size == 126 {
		var more [2]byte
		must(io.ReadFull(in, more[:]))
		size = uint64(binary.BigEndian.Uint16(more[:]))
	} else if size == 127 {
		var more [8]byte
		must(io.ReadFull(in, more[:]))
		size = binary.BigEndian.Uint64(more[:])
	}
	payload := make([]byte, size)
	must(io.ReadFull(in, payload))
	return payload
}

func must(_ int, err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	certificate, err := os.ReadFile(os.Args[3])
	must(0, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	settings := &tls.Config{RootCAs: trusted, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	answers := 0
	for round := 0; round < 2; round++ { // the second one with a ticket
		peer, err := tls.Dial("tcp", net.JoinHostPort(os.Args[1], os.Args[2]), settings)
		must(0, err)
		must(io.WriteString(peer, "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		in := bufio.NewReader(peer)
		for line := "x"; strings.TrimSpace(line) != ""; {
			line, err = in.ReadString('\n')
			must(0, err)
		}
		for _, size := range []int{0, 1, 125, 126, 16384, 65535, 65536, 300000} {
			payload := make([]byte, size)
			must(rand.Read(payload))
			must(peer.Write(frame(payload)))
			if bytes.Equal(read(in), payload) {
				answers++
			}
		}
		if peer.ConnectionState().DidResume != (round == 1) {
			log.Fatal("resumed: ", peer.ConnectionState().DidResume)
		}
		peer.Close()
	}
	fmt.Println(answers, "answers")
}
