// node-postgres: simple and extended queries, named statements, several queries queued on one connection.
import { createRequire } from 'node:module';
import { account, bothWays, bound, columns } from './common.mjs';

const pg = createRequire(`${process.env.NODE_MODULES}/`)('pg');

async function client(port) {
	const connection = new pg.Client(account(port));
	const reads = [];
	const read = async (query, values) => reads.push((await connection.query(query, values)).rows);

	await connection.connect();
	for (const column of columns) {
		await read(`select id, ${column} from specimen where id between 10 and 40 order by id`);
		await read(`select id, ${column} from specimen where id between $1 and $2 order by id`, [10, 40]);
	}
	for (const column of bound) {
		const found = await connection.query(`select ${column} as value from specimen where id = 7`);
		reads.push(found.rows);
		await read(`select id from specimen where ${column} = $1 order by id`, [found.rows[0].value]);
	}
	for (let i = 1; i < 6; i++)
		await read({ name: 'by id', text: 'select * from specimen where id = $1', values: [i] });
	const queued = [1, 2, 3, 4].map((id) => connection.query('select key from specimen where id = $1', [id]));
	for (const result of await Promise.all(queued))
		reads.push(result.rows);
	await connection.end();
	return reads;
}

await bothWays(client);
