// node-postgres logs in without and with TLS, and with a wrong password. usage: PORT USER PASSWORD
import { createRequire } from 'node:module';

const pg = createRequire(`${process.env.NODE_MODULES}/`)('pg');
const [port, user, password] = process.argv.slice(2);

async function logIn(what, ssl, given) {
	const client = new pg.Client({ host: '127.0.0.1', port: Number(port), user, password: given,
		database: 'postgres', ssl });
	try {
		await client.connect();
		console.log(`${what}: ${(await client.query('select current_user')).rows[0].current_user}`);
		await client.end();
	} catch (error) {
		console.log(`${what}: ${error.code === '28P01' ? 'refused' : error}`);
	}
}

await logIn('plain', false, password);
await logIn('TLS', { rejectUnauthorized: false }, password);
await logIn('wrong password', false, 'wrong');
