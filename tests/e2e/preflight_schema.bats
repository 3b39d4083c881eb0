# What check finds of a schema: a PostgreSQL 15 whose pg_dump was restored into another 15 and, where
# the npm package is there, into an 18 finds nothing; each difference of preflight_plants.txt finds
# exactly its own; what is told to mend it mends it.

source "$BATS_TEST_DIRNAME/../tools/clusters.bash"
PGUMBRA=${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}
PLANTS=$BATS_TEST_DIRNAME/preflight_plants.txt

setup_file() {
	PFS_DIR=$(scratch_directory pgumbra-preflight-schema)
	export PFS_DIR
	make_server control "$DEBIAN_PG_BIN"
	make_server 15 "$DEBIAN_PG_BIN"
	if pg18_bin >"$PFS_DIR/bin18"; then make_server 18 "$(cat "$PFS_DIR/bin18")"; fi
	cluster_psql "$PFS_DIR/cluster-control" shop -o /dev/null -f "$BATS_TEST_DIRNAME/preflight_schema.sql"
	pg_dump -h "$PFS_DIR/cluster-control" -p "$(cluster_port "$PFS_DIR/cluster-control")" -U postgres \
		-d shop >"$PFS_DIR/shop.sql"
	for version in $(versions); do
		cluster_psql "$PFS_DIR/cluster-$version" shop -o /dev/null -f "$PFS_DIR/shop.sql"
	done
}

teardown_file() {
	local cluster
	for cluster in "$PFS_DIR"/cluster-*; do cluster_stop "$cluster" immediate; done
	rm -rf "$PFS_DIR"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	bats_require_minimum_version 1.5.0
}

make_server() { # NAME BIN
	cluster_make "$PFS_DIR/cluster-$1" "$2"
	cluster_start "$PFS_DIR/cluster-$1"
	cluster_psql "$PFS_DIR/cluster-$1" postgres <<-SQL
		create role pfs_$1 login password 'pw' in role pg_read_all_data;
		create role app login;
		create role readers;
		grant readers to app;
		create role shop_owner;
		create database shop;
		revoke temporary on database shop from public;
		grant connect on database shop to pfs_$1;
	SQL
}

versions() {
	echo 15
	if [ -d "$PFS_DIR/cluster-18" ]; then echo 18; fi
}

address() { # NAME
	echo "host=127.0.0.1 port=$(cluster_port "$PFS_DIR/cluster-$1") user=pfs_$1 password=pw dbname=shop"
}

# check VERSION FILE [WORDS]: the findings as JSON; words are added to the candidate's address.
check() {
	run -0 --separate-stderr "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --format json \
		--primary "host=127.0.0.1 port=$(cluster_port "$PFS_DIR/cluster-control")" \
		--control "$(address control)" --candidate "$(address "$1") ${3:-}"
	echo "$output" >"$2"
}

plants() { # VERB FILE...
	"$PYTHON" "$BATS_TEST_DIRNAME/preflight_plants" "$1" "$PLANTS" "${@:2}"
}

@test "a restored dump finds nothing, on the same version and on the next ones" {
	for version in $(versions); do
		check "$version" findings
		plants none findings
	done
}

@test "sessions that show times and numbers differently see the same schema" {
	for version in $(versions); do
		check "$version" findings \
			"options='-c TimeZone=Asia/Tokyo -c DateStyle=German -c IntervalStyle=iso_8601 -c bytea_output=escape -c quote_all_identifiers=on -c extra_float_digits=-10'"
		plants settings findings
	done
}

@test "each difference finds exactly its own; the statements that mend it do" {
	for version in $(versions); do
		plants sql >plant.sql
		cluster_psql "$PFS_DIR/cluster-$version" shop -o /dev/null -f plant.sql
		check "$version" findings
		plants each findings
		plants mends findings >mend.sql
		cluster_psql "$PFS_DIR/cluster-$version" shop -o /dev/null -f mend.sql
		check "$version" findings
		plants mended findings
	done
}
