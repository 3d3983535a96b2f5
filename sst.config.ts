/// <reference path="./.sst/platform/config.d.ts" />
// n.b. the SST CLI takes no imports at the top of this file.
export default $config({
  async app({ stage }) {
    const { settingsOf } = await import("./infra/stages.ts");
    const { region, removal, protect } = settingsOf(stage);
    return {
      name: "roger",
      version: "4.17.1",
      home: "aws",
      removal,
      protect,
      providers: { aws: { region, version: "7.20.0" }, random: "4.16.6" },
    };
  },
  async run() {
    const { settingsOf } = await import("./infra/stages.ts");
    const { makeStage } = await import("./infra/main.ts");
    return makeStage(settingsOf($app.stage));
  },
});
