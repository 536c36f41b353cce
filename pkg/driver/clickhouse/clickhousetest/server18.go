package clickhousetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ports are those of one ClickHouse 18.16.
type ports struct{ native, http, interserver int }

func freePorts() (ports, error) {
	var p ports
	var errs []error
	for _, into := range []*int{&p.native, &p.http, &p.interserver} {
		port, err := freePort()
		*into, errs = port, append(errs, err)
	}
	return p, errors.Join(errs...)
}

// A membership is what a server knows of the others.
type membership struct {
	zookeeper int // its port
	replica   string
	nodes     []ports // all of them
	own       ports
}

// set18 prepares the folder and the command line of a clickhouse-server.
func (s *Server) set18(program string, set settings, m *membership) error {
	own, err := ports{}, error(nil)
	if m != nil {
		own = m.own
	} else if own, err = freePorts(); err != nil {
		return err
	}
	s.name, s.program, s.HTTP, s.Native = "clickhouse-server", program, local(own.http), local(own.native)
	config := filepath.Join(s.dir, "config.xml")
	s.args = []string{"--config-file=" + config}
	return errors.Join(os.WriteFile(config, []byte(config18(s.dir, own, m)), 0o600),
		os.WriteFile(filepath.Join(s.dir, "users.xml"), []byte(users18(set.users)), 0o600))
}

// config18 keeps a server small and away from others. Its log goes to its
// output, which is the file that failures quote.
func config18(dir string, p ports, m *membership) string {
	at := func(name string) string { return escaped(filepath.Join(dir, name)) + "/" }
	return fmt.Sprintf(`<yandex>
<logger><level>information</level><console>1</console></logger>
<listen_host>127.0.0.1</listen_host>
<tcp_port>%d</tcp_port><http_port>%d</http_port><interserver_http_port>%d</interserver_http_port>
<interserver_http_host>127.0.0.1</interserver_http_host>
<path>%s</path><tmp_path>%s</tmp_path><user_files_path>%s</user_files_path><format_schema_path>%s</format_schema_path>
<users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
<timezone>UTC</timezone><mark_cache_size>67108864</mark_cache_size><max_concurrent_queries>100</max_concurrent_queries>
%s</yandex>
`, p.native, p.http, p.interserver, at("data"), at("tmp"), at("files"), at("schemas"), m.config())
}

// Names of the clusters of Replicated18.
const (
	// Cluster is one shard of two replicas.
	Cluster = "prism_test"
	// ShardedCluster is two shards of one replica.
	ShardedCluster = "prism_test_shards"
)

// config is what makes a server a member; nothing for one alone.
func (m *membership) config() string {
	if m == nil {
		return "<remote_servers></remote_servers>\n"
	}
	var replicas, shards strings.Builder
	for _, n := range m.nodes {
		replica := fmt.Sprintf("<replica><host>127.0.0.1</host><port>%d</port></replica>", n.native)
		replicas.WriteString(replica)
		shards.WriteString("<shard>" + replica + "</shard>")
	}
	return fmt.Sprintf(`<zookeeper><node><host>127.0.0.1</host><port>%d</port></node><session_timeout_ms>%d</session_timeout_ms></zookeeper>
<macros><shard>01</shard><replica>%s</replica></macros>
<distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
<remote_servers>
<%[4]s><shard><internal_replication>true</internal_replication>%[5]s</shard></%[4]s>
<%[6]s>%[7]s</%[6]s>
</remote_servers>
`, m.zookeeper, zookeeperSession.Milliseconds(), m.replica, Cluster, replicas.String(), ShardedCluster, shards.String())
}

func users18(accounts []account) string {
	var users strings.Builder
	for _, a := range append([]account{{name: "default"}}, accounts...) {
		profile := "default"
		if a.readonly {
			profile = "readonly"
		}
		fmt.Fprintf(&users, "<%[1]s><password>%[2]s</password><networks><ip>127.0.0.1</ip></networks><profile>%[3]s</profile><quota>default</quota></%[1]s>\n",
			a.name, escaped(a.password), profile)
	}
	return `<yandex>
<profiles><default></default><readonly><readonly>1</readonly></readonly></profiles>
<users>` + users.String() + `</users>
<quotas><default></default></quotas>
</yandex>
`
}
