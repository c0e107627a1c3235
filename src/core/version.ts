/** The version of this package: that of package.json, says a test. */
export const VERSION = '0.1.0';
