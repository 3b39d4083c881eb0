/* pgjdbc: unnamed statements that become named ones, the binary transfer that follows, fetch size in
 * a transaction, the simple query mode. Environment as in common.py. */
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;

public class JdbcReads {
	private static final String[] COLUMNS = {"small", "big", "amount", "bare", "single", "twofold",
		"flag", "words", "code", "padded", "day", "clock", "local", "moment", "span", "key", "doc",
		"bytes", "ints", "texts", "state", "maybe"};
	private static final String[] BOUND = {"small", "big", "amount", "bare", "single", "twofold",
		"flag", "words", "code", "padded", "day", "clock", "local", "moment", "key", "bytes", "ints",
		"texts"};

	private static Connection connect(int port, String mode) throws SQLException {
		Properties properties = new Properties();
		String password = System.getenv("DBPASSWORD");
		properties.setProperty("user", System.getenv("DBUSER"));
		if (password != null) {
			properties.setProperty("password", password);
		}
		properties.setProperty("preferQueryMode", mode);
		properties.setProperty("sslmode", "disable");
		return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("HOST") + ":" + port
			+ "/" + System.getenv("DBNAME"), properties);
	}

	private static String show(Object value) throws SQLException {
		if (value instanceof byte[]) {
			return Arrays.toString((byte[]) value);
		}
		if (value instanceof java.sql.Array) {
			return Arrays.toString((Object[]) ((java.sql.Array) value).getArray());
		}
		return String.valueOf(value);
	}

	private static String rows(ResultSet result) throws SQLException {
		StringBuilder text = new StringBuilder();
		int columns = result.getMetaData().getColumnCount();
		while (result.next()) {
			for (int i = 1; i <= columns; i++) {
				text.append(show(result.getObject(i))).append('|');
			}
			text.append('\n');
		}
		return text.toString();
	}

	/* Eight times over: the fifth execution makes the statement a named one, later ones get binary
	 * results. */
	private static void columns(Connection connection, List<String> reads) throws SQLException {
		for (String column : COLUMNS) {
			try (PreparedStatement statement = connection.prepareStatement("select id, " + column
				+ " from specimen where id between ? and ? order by id")) {
				for (int i = 0; i < 8; i++) {
					statement.setInt(1, 10 + i);
					statement.setInt(2, 30);
					reads.add(rows(statement.executeQuery()));
				}
			}
		}
	}

	private static void boundValues(Connection connection, String mode, List<String> reads)
		throws SQLException {
		for (String column : BOUND) {
			if (mode.equals("simple") && column.equals("bytes")) {
				continue; /* the driver can't write a byte[] into a text */
			}
			Object value;
			try (Statement statement = connection.createStatement();
				ResultSet result = statement.executeQuery("select " + column
					+ " from specimen where id = 7")) {
				result.next();
				value = result.getObject(1);
				reads.add(show(value));
			}
			try (PreparedStatement statement = connection.prepareStatement(
				"select id from specimen where " + column + " = ? order by id")) {
				statement.setObject(1, value);
				reads.add(rows(statement.executeQuery()));
			}
		}
	}

	private static void fetchSize(Connection connection, List<String> reads) throws SQLException {
		connection.setAutoCommit(false);
		try (Statement statement = connection.createStatement()) {
			statement.setFetchSize(70);
			reads.add(rows(statement.executeQuery("select * from specimen order by id")));
			statement.setFetchSize(100); /* the last batch comes out even */
			reads.add(rows(statement.executeQuery("select id, moment from specimen order by id")));
		}
		connection.commit();
		connection.setAutoCommit(true);
	}

	private static List<String> read(int port) throws SQLException {
		List<String> reads = new ArrayList<>();
		for (String mode : new String[] {"extended", "simple"}) {
			try (Connection connection = connect(port, mode)) {
				columns(connection, reads);
				boundValues(connection, mode, reads);
				fetchSize(connection, reads);
			}
		}
		return reads;
	}

	public static void main(String[] args) throws SQLException {
		List<String> direct = read(Integer.parseInt(System.getenv("DIRECT_PORT")));
		List<String> proxied = read(Integer.parseInt(System.getenv("PORT")));
		for (int i = 0; i < direct.size(); i++) {
			if (!direct.get(i).equals(proxied.get(i))) {
				System.err.println("read " + i + " differs:\n directly " + direct.get(i)
					+ "\n proxied  " + proxied.get(i));
				System.exit(1);
			}
		}
		System.out.println("reads=" + proxied.size());
	}
}
