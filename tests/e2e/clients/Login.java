/* pgjdbc logs in without and with TLS, and with a wrong password. usage: PORT USER PASSWORD */
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;

public class Login {
	private static void logIn(String what, String[] to, String sslmode, String password)
		throws SQLException {
		Properties properties = new Properties();
		properties.setProperty("user", to[1]);
		properties.setProperty("password", password);
		properties.setProperty("sslmode", sslmode);
		String url = "jdbc:postgresql://127.0.0.1:" + to[0] + "/postgres";
		try (Connection connection = DriverManager.getConnection(url, properties);
			ResultSet row = connection.createStatement().executeQuery("select current_user")) {
			row.next();
			System.out.println(what + ": " + row.getString(1));
		} catch (SQLException error) {
			boolean refused = "28P01".equals(error.getSQLState());
			System.out.println(what + ": " + (refused ? "refused" : error));
		}
	}

	public static void main(String[] to) throws SQLException {
		logIn("plain", to, "disable", to[2]);
		logIn("TLS", to, "require", to[2]);
		logIn("wrong password", to, "disable", "wrong");
	}
}
