/* pgjdbc: two connections that are used again and again, with the settings that change what it sends.
 * Marks as in marks.py, environment too. */
import java.io.IOException;
import java.io.OutputStream;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.postgresql.PGConnection;

public class Shop {
	private static final int REQUESTS = 8;
	private static final Map<String, Integer> RUNS = new TreeMap<>();

	private interface Request {
		void run(Connection c, int number) throws SQLException;
	}

	private static String mark(String name, int runs) {
		RUNS.merge(name, runs, Integer::sum);
		return name;
	}

	private static String cov(String name) {
		return mark("cov_" + name, 1);
	}

	private static String point(String name) {
		return "select id, owner, balance as " + name + " from account where id = ?";
	}

	private static void drain(ResultSet rows) throws SQLException {
		while (rows.next()) {
			rows.getObject(1);
		}
	}

	private static void read(Connection c, String sql, int number) throws SQLException {
		try (PreparedStatement s = c.prepareStatement(sql)) {
			if (sql.contains("?")) {
				s.setInt(1, number);
			}
			drain(s.executeQuery());
		}
	}

	private static void execute(Connection c, String sql) throws SQLException {
		try (Statement s = c.createStatement()) {
			s.execute(sql);
		}
	}

	/* A statement of its own for each: the fifth use of a text makes it a named statement. */
	private static void autocommitReads(Connection c, int number) throws SQLException {
		for (int i = 0; i < 3; i++) {
			read(c, point(cov("threshold")), number + i);
		}
		read(c, "select count(*), sum(total) as " + cov("aggregate") + " from purchase", 0);
		read(c, "select id, tier, tiers as " + cov("own_types") + " from member order by id", 0);
		try {
			read(c, "select 1 / (id - ?) as " + cov("fails") + " from account order by id", number);
		} catch (SQLException expected) {
			if (!expected.getSQLState().equals("22012")) {
				throw expected;
			}
		}
		try (Statement s = c.createStatement()) {
			s.execute("select id as " + cov("first_of_text") + " from account where id = " + number
				+ "; select id as " + cov("second_of_text") + " from purchase where id = " + number);
			s.execute(";");
		}
	}

	private static void readsThenWrite(Connection c, int number) throws SQLException {
		c.setAutoCommit(false);
		read(c, point(cov("in_transaction")), number);
		read(c, "select sum(total) as " + cov("before_write") + " from purchase where account = ?",
			number);
		try (PreparedStatement s = c.prepareStatement(
			"insert into ledger (account, note) values (?, 'pgjdbc')",
			Statement.RETURN_GENERATED_KEYS)) {
			s.setInt(1, number);
			s.executeUpdate();
			drain(s.getGeneratedKeys());
		}
		read(c, point(mark("skip_transaction_tainted", 1)), number);
		c.commit();
		c.setAutoCommit(true);
	}

	private static void savepoints(Connection c, int number) throws SQLException {
		c.setAutoCommit(false);
		Savepoint point = c.setSavepoint();
		read(c, point(cov("savepoint")), number);
		c.rollback(point);
		read(c, point(cov("after_rollback_to")), number);
		c.releaseSavepoint(point);
		read(c, point(cov("after_release")), number);
		c.commit();
		c.setAutoCommit(true);
	}

	/* With autosave=always each statement has a savepoint of its own, so this one can go on. */
	private static void failure(Connection c, int number) throws SQLException {
		c.setAutoCommit(false);
		read(c, point(cov("before_failure")), number);
		try {
			read(c, "select owner::int as " + cov("fails_in_transaction")
				+ " from account where id = ?", number);
		} catch (SQLException expected) {
			if (!expected.getSQLState().equals("22P02")) {
				throw expected;
			}
		}
		read(c, point(cov("after_autosave")), number);
		c.commit();
		c.setAutoCommit(true);
	}

	private static void batches(Connection c, int number) throws SQLException {
		c.setAutoCommit(false);
		for (int rows = 4; rows <= 5; rows++) { /* the last batch comes out even, or not */
			try (PreparedStatement s = c.prepareStatement("select id, items as "
				+ cov("fetch_size") + " from purchase where id <= ? order by id")) {
				s.setFetchSize(2);
				s.setInt(1, rows);
				drain(s.executeQuery());
			}
		}
		try (PreparedStatement s = c.prepareStatement("select id, total as "
			+ cov("abandoned") + " from purchase where id > ? order by id")) {
			s.setFetchSize(3);
			s.setInt(1, number);
			ResultSet rows = s.executeQuery();
			for (int i = 0; i < 4; i++) {
				rows.next();
			}
		}
		c.commit();
		c.setAutoCommit(true);
	}

	private static void limits(Connection c, int number) throws SQLException {
		try (PreparedStatement s = c.prepareStatement("select id, owner as " + cov("max_rows")
			+ " from account where id > ? order by id")) {
			s.setMaxRows(3);
			s.setInt(1, number);
			drain(s.executeQuery());
		}
		try (PreparedStatement s = c.prepareStatement("select id, owner as "
			+ cov("max_rows_not_reached") + " from account where id = ?")) {
			s.setMaxRows(3);
			s.setInt(1, number);
			drain(s.executeQuery());
		}
	}

	private static void copy(Connection c, int number) throws SQLException {
		try {
			c.unwrap(PGConnection.class).getCopyAPI().copyOut("copy (select id, total as "
				+ cov("copy") + " from purchase where id <= " + number + " order by id) to stdout",
				OutputStream.nullOutputStream());
		} catch (IOException e) {
			throw new SQLException(e);
		}
	}

	private static void isolation(Connection c, int number) throws SQLException {
		c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
		c.setAutoCommit(false);
		read(c, point(mark("also_first_of_snapshot", 1)), number);
		read(c, point(mark("skip_old_snapshot", 1)), number);
		c.commit();
		c.setAutoCommit(true);
		c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
		c.setReadOnly(true);
		c.setAutoCommit(false);
		execute(c, "show transaction_isolation");
		read(c, point(cov("read_only")), number);
		c.commit();
		c.setAutoCommit(true);
		c.setReadOnly(false);
	}

	private static void settings(Connection c, int number) throws SQLException {
		c.setAutoCommit(false);
		execute(c, "set local timezone = 'Asia/Tokyo'");
		read(c, "select opened::text as " + cov("set_local") + " from account where id = ?", number);
		try (PreparedStatement s = c.prepareStatement("select set_config('search_path', ?, true)")) {
			s.setString(1, "archive, public");
			drain(s.executeQuery());
		}
		read(c, "select owner as " + cov("set_config_bound") + " from account where id = ?", number);
		c.commit();
		c.setAutoCommit(true);
		c.setSchema("archive");
		read(c, "select owner as " + cov("schema") + " from account where id = ?", number);
		c.setSchema("public");
		c.isValid(5);
		read(c, "select opened::text as " + cov("after_valid") + " from account where id = ?", number);
	}

	private static void reset(Connection c, int number) throws SQLException {
		execute(c, number % 2 == 0 ? "discard all" : "reset all");
		read(c, point(cov("after_reset")), number);
	}

	private static void tenant(Connection c, int number) throws SQLException {
		c.setAutoCommit(false);
		execute(c, "set local app.tenant = 'tenant " + number % 5 + "'");
		read(c, "select title as " + cov("row_security") + " from document order by id", 0);
		c.commit();
		c.setAutoCommit(true);
	}

	private static Connection connect(String autosave, String mode) throws SQLException {
		Properties properties = new Properties();
		properties.setProperty("user", System.getenv("DBUSER"));
		properties.setProperty("password", System.getenv("DBPASSWORD"));
		properties.setProperty("sslmode", "disable");
		properties.setProperty("autosave", autosave);
		properties.setProperty("prepareThreshold", "3");
		properties.setProperty("preferQueryMode", mode);
		return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("HOST") + ":"
			+ System.getenv("PORT") + "/" + System.getenv("DBNAME"), properties);
	}

	public static void main(String[] args) throws SQLException {
		Request[] requests = {Shop::autocommitReads, Shop::readsThenWrite, Shop::savepoints,
			Shop::batches, Shop::limits, Shop::copy, Shop::isolation, Shop::settings, Shop::tenant,
			Shop::reset};
		Connection[] pool = {connect("never", "extended"), connect("always", "extended"),
			connect("conservative", "extendedCacheEverything"), connect("never", "simple")};
		for (int number = 1; number <= REQUESTS; number++) {
			for (Connection c : pool) {
				for (Request request : requests) {
					request.run(c, number);
				}
			}
			failure(pool[1], number);
		}
		for (Connection c : pool) {
			c.close();
		}
		System.out.println(RUNS.entrySet().stream()
			.map(e -> "\"" + e.getKey() + "\": " + e.getValue())
			.collect(Collectors.joining(", ", "{", "}")));
	}
}
