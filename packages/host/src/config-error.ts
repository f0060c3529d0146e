/** A setting that can't be meant. The message names the setting, and its place in the file. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}
