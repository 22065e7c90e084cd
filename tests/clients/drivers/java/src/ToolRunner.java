import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's command-line tools one after the other in one process, since most of a tool's time is the start of its process.
 *
 * Reads one JSON object a line, {"class", "arguments", "stdin"}; answers with one, {"code", "out", "err"}.
 */
public final class ToolRunner {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Thrown where a tool would end the process. An error, so that the fewest handlers of a tool take it for theirs. */
    private static final class Exited extends Error {
        Exited() {
            super("exit", null, false, false);
        }
    }

    private static final List<Runnable> HOOKS = new ArrayList<>();
    private static Integer exitCode;

    private ToolRunner() { }

    public static void main(String[] args) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = System.out;
        // The streams stay the same from tool to tool: Scala's console keeps the first it sees.
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        Exit.setHaltProcedure((code, message) -> exit(code));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            out.reset();
            err.reset();
            int code = run(JSON.readTree(line));
            answers.println(JSON.createObjectNode().put("code", code)
                .put("out", out.toString(StandardCharsets.UTF_8)).put("err", err.toString(StandardCharsets.UTF_8)));
            answers.flush();
        }
    }

    /** The first code is the tool's own; what a handler does about the throwable is not. */
    private static void exit(int code) {
        if (exitCode == null) {
            exitCode = code;
        }
        throw new Exited();
    }

    private static int run(JsonNode request) throws ReflectiveOperationException {
        String[] arguments = new String[request.get("arguments").size()];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = request.get("arguments").get(i).asText();
        }
        System.setIn(new ByteArrayInputStream(request.get("stdin").asText().getBytes(StandardCharsets.UTF_8)));
        exitCode = null;
        HOOKS.clear();
        try {
            Class.forName(request.get("class").asText()).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException error) {
            if (!(error.getCause() instanceof Exited)) {
                error.getCause().printStackTrace();
                return 1;
            }
        } finally {
            HOOKS.forEach(Runnable::run);
        }
        return exitCode == null ? 0 : exitCode;
    }
}
