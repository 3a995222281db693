// The quick Go program: net/http, as many goroutines as the bound. No ledger, no retry, no log.
//
//	main 1.1|2 URL CA|- TOKEN CONCURRENCY IDS
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	version, url, authority, token := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	concurrency, err := strconv.Atoi(os.Args[5])
	fail(err)
	transport := &http.Transport{
		MaxIdleConns:        concurrency,
		MaxIdleConnsPerHost: concurrency,
		ForceAttemptHTTP2:   version == "2",
	}
	if version != "2" {
		transport.MaxConnsPerHost = concurrency
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	if authority != "-" {
		pem, err := os.ReadFile(authority)
		fail(err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client := &http.Client{Transport: transport}
	file, err := os.Open(os.Args[6])
	fail(err)
	ids := make(chan string, 2*concurrency)
	go func() {
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			ids <- lines.Text()
		}
		close(ids)
	}()
	var group sync.WaitGroup
	for i := 0; i < concurrency; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for id := range ids {
				request, err := http.NewRequest("DELETE", url+"/api/sessions/"+id, nil)
				fail(err)
				request.Header.Set("Authorization", "Bearer "+token)
				answer, err := client.Do(request)
				fail(err)
				_, err = io.Copy(io.Discard, answer.Body)
				fail(err)
				answer.Body.Close()
				if answer.StatusCode != 204 {
					fail(fmt.Errorf("not a 204: %s", answer.Status))
				}
			}
		}()
	}
	group.Wait()
}
