// What the Node.js clients share; see common.py.
export const columns = ['small', 'big', 'amount', 'bare', 'single', 'twofold', 'flag', 'words', 'code',
	'padded', 'day', 'clock', 'local', 'moment', 'span', 'key', 'doc', 'bytes', 'ints', 'texts', 'state',
	'maybe'];
// A JavaScript Date has milliseconds only, an interval is an object of the driver's: not bound.
export const bound = ['small', 'big', 'amount', 'bare', 'twofold', 'flag', 'words', 'code', 'padded', 'clock',
	'key', 'bytes', 'ints', 'texts'];

export function account(port) {
	const env = process.env;
	return { host: env.HOST, port: Number(port), user: env.DBUSER, password: env.DBPASSWORD,
		database: env.DBNAME };
}

export async function bothWays(client) {
	const direct = await client(process.env.DIRECT_PORT);
	const proxied = await client(process.env.PORT);

	for (let i = 0; i < Math.max(direct.length, proxied.length); i++) {
		const expected = JSON.stringify(direct[i]);
		const got = JSON.stringify(proxied[i]);
		if (expected !== got || expected === undefined)
			throw new Error(`read ${i} differs:\n directly ${expected}\n proxied  ${got}`);
	}
	console.log(`reads=${proxied.length}`);
}
