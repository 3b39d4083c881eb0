// node-postgres: a pool; extended and named statements, batches of rows, queued queries, LISTEN. Marks as in
// marks.py, environment too.
import { createRequire } from 'node:module';

const pg = createRequire(`${process.env.NODE_MODULES}/`)('pg');
const requests = 10;
const runs = {};

function mark(name) {
	runs[name] = (runs[name] ?? 0) + 1;
	return name;
}
const cov = (name) => mark(`cov_${name}`);
const also = (name) => mark(`also_${name}`);
const skip = (reason) => mark(`skip_${reason}`);
const point = (name) => `select id, owner, balance as ${name} from account where id = $1`;

async function failing(query, state) {
	try {
		await query;
	} catch (error) {
		if (error.code !== state)
			throw error;
	}
}

async function poolReads(pool, number) {
	await pool.query(point(cov('pool')), [number]);
	await pool.query(`select count(*), sum(total) as ${cov('simple')} from purchase`);
	await pool.query({ name: 'owner', text: `select owner as ${cov('named')} from account where id = $1`,
		values: [number] });
	await pool.query({ text: `select id as ${cov('binary')} from purchase where id < $1 order by id`,
		values: [number], binary: true });
	await pool.query({ text: `select id, items as ${cov('row_mode')} from purchase where account = any($1) order by id`,
		values: [[1, 2, number]], rowMode: 'array' });
	await pool.query(`select id, tier, tiers as ${cov('own_types')} from member where id < $1 order by id`, [number]);
	await pool.query(`select owner as ${cov('first_of_text')} from account where id = ${number}; ` +
		`select owner as ${cov('second_of_text')} from account where id = ${number + 1}`);
	await pool.query(';');
	await failing(pool.query(`select 1 / (id - $1) as ${cov('fails')} from account order by id`, [number]), '22012');
}

async function readsThenWrite(client, number) {
	await client.query('begin');
	await client.query(point(cov('in_transaction')), [number]);
	await client.query(`select sum(total) as ${cov('before_write')} from purchase where account = $1`, [number]);
	await client.query('insert into ledger (account, note) values ($1, $2) returning id', [number, 'node']);
	await client.query(point(skip('transaction_tainted')), [number]);
	await client.query('commit');
}

async function savepoints(client, number) {
	await client.query('begin');
	await client.query('savepoint a');
	await client.query(point(cov('savepoint')), [number]);
	await failing(client.query(`select owner::int as ${cov('fails_in_savepoint')} from account where id = $1`,
		[number]), '22P02');
	await client.query('rollback to savepoint a');
	await client.query(point(cov('after_rollback_to')), [number]);
	await client.query('release savepoint a');
	await client.query('commit');
}

async function settings(client, number) {
	await client.query('begin; show transaction_isolation');
	await client.query(point(cov('after_show')), [number]);
	await client.query("set local timezone = 'Asia/Tokyo'");
	await client.query(`select opened::text as ${cov('set_local')} from account where id = $1`, [number]);
	await client.query("select set_config('search_path', $1, true)", ['archive, public']);
	await client.query(`select owner as ${cov('set_config_bound')} from account where id = $1`, [number]);
	await client.query('commit');
	await client.query(`select opened::text as ${cov('after_commit')} from account where id = $1`, [number]);
}

async function snapshots(client, number) {
	await client.query('begin isolation level repeatable read');
	await client.query(point(also('first_of_snapshot')), [number]);
	await client.query(point(skip('old_snapshot')), [number]);
	await client.query('rollback');
}

// The driver asks for batches by Execute and Flush, Sync comes at the end.
async function batches(client) {
	await client.query('begin');
	for (const rows of [4, 5])
		await client.query({ text: `select id, items as ${cov('batches')} from purchase where id <= $1 order by id`,
			values: [rows], rows: 2 });
	await client.query(`declare c cursor for select id, total as ${cov('cursor')} from purchase where id < $1 order by id`,
		[9]);
	await client.query('fetch 5 from c');
	await client.query('fetch all from c');
	await client.query('commit');
}

// Sent one behind the other's answer, but queued all at once.
async function queued(client, number) {
	const answers = [1, 2, 3].map((i) =>
		client.query(`select opened::text as ${cov('queued')} from account where id = $1`, [number + i]));
	answers.push(client.query("set timezone = 'America/New_York'"));
	answers.push(client.query(`select opened::text as ${cov('queued_behind_set')} from account where id = $1`, [number]));
	answers.push(client.query('reset timezone'));
	await Promise.all(answers);
}

async function news(client, number) {
	await client.query('listen news');
	await client.query("notify news, 'something'");
	await client.query(point(cov('after_notify')), [number]);
	await client.query(`select remarked(id) as ${cov('notices')} from account where id < $1 order by id`, [number + 5]);
	await client.query('unlisten *');
}

async function tenant(client, number) {
	await client.query('begin');
	await client.query("select set_config('app.tenant', $1, true)", [`tenant ${number % 5}`]);
	await client.query(`select title as ${cov('row_security')} from document order by id`);
	await client.query('commit');
}

async function reset(client, number) {
	await client.query(number % 2 ? 'reset all' : 'discard all');
	await client.query(point(cov('after_reset')), [number]);
}

async function lend(pool, request, number) {
	const client = await pool.connect();

	await request(client, number);
	client.release();
}

const options = { host: process.env.HOST, port: Number(process.env.PORT), database: process.env.DBNAME,
	user: process.env.DBUSER, password: process.env.DBPASSWORD, max: 2, options: '-c extra_float_digits=2' };
const pool = new pg.Pool(options);

for (let number = 1; number <= requests; number++) {
	await poolReads(pool, number);
	for (const request of [readsThenWrite, savepoints, settings, snapshots, batches, queued, news, tenant])
		await lend(pool, request, number);
	await Promise.all([lend(pool, queued, number), lend(pool, batches, number)]);
}
await lend(pool, reset, 1);
await pool.end();
const fresh = new pg.Pool({ ...options, max: 1 }); // named statements are gone for good with DISCARD ALL
await lend(fresh, reset, 2);
await lend(fresh, news, 2);
await fresh.end();
console.log(JSON.stringify(runs));
