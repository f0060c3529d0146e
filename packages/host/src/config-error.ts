/** What is configured can't be meant: it names the setting, and where it stands. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}
