/** RFC 867: says what time it is, and closes. */
import { service } from "./service.js";

const format = new Intl.DateTimeFormat("en-US", { dateStyle: "full", timeStyle: "medium", hourCycle: "h23", timeZone: "UTC" });

/** "Saturday, November 21, 2026, 10:20:00 UTC": weekday, month, day, year, time and zone, as RFC 867 suggests. */
export const daytimeText = (at: Date): string => `${format.format(at).replace(" at ", ", ")} UTC\r\n`;

export const daytime = service({
  name: "daytime",
  defaultPort: 13,
  summary: "says what time it is, and closes (RFC 867)",
  open: () => ({
    serve(socket) {
      socket.resume();
      socket.end(daytimeText(new Date()));
    },
  }),
});
