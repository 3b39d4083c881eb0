// postgres (porsager): named statements described first, pipelined queries, cursors.
import { createRequire } from 'node:module';
import { account, bothWays, bound, columns } from './common.mjs';

const postgres = createRequire(`${process.env.NODE_MODULES}/`)('postgres');

async function readAll(sql, reads) {
	for (const column of columns)
		reads.push([...await sql`select id, ${sql(column)} from specimen where id between ${10} and ${40}
			order by id`]);
	for (const column of bound) {
		const found = await sql`select ${sql(column)} as value from specimen where id = ${7}`;
		reads.push([...found]);
		reads.push([...await sql`select id from specimen where ${sql(column)} = ${found[0].value} order by id`]);
	}
	const queued = [1, 2, 3, 4].map((id) => sql`select key, doc from specimen where id = ${id}`);
	for (const rows of await Promise.all(queued))
		reads.push([...rows]);
	const all = [];
	await sql`select id, moment from specimen order by id`.cursor(70, (rows) => {
		all.push(...rows);
	});
	reads.push(all);
	reads.push([...await sql`select count(*) from specimen`.simple()]);
}

async function client(port) {
	const sql = postgres({ ...account(port), max: 1, fetch_types: false });
	const reads = [];

	await readAll(sql, reads);
	await sql.end();
	return reads;
}

await bothWays(client);
