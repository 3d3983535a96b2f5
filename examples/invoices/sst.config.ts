/// <reference path="./.sst/platform/config.d.ts" />
// n.b. the SST CLI takes no imports at the top of this file.
export default $config({
  app({ stage }) {
    return {
      name: "invoices",
      version: "4.17.1",
      home: "aws",
      removal: stage === "production" ? "retain" : "remove",
      protect: stage === "production",
      // Roger makes a password with `random`.
      providers: { aws: { region: "eu-west-1", version: "7.20.0" }, random: "4.16.6" },
    };
  },
  async run() {
    const { roger } = await import("roger-serverless/infra");
    const invoices = new sst.aws.Dynamo("Invoices", { fields: { id: "string" }, primaryIndex: { hashKey: "id" } });

    const jobs = roger({
      jobs: "jobs/index.ts",
      pools: { default: { slots: 20, max: 5 } },
      environment: { MAILER_URL: "https://mailer.example.com/send", INVOICES_TABLE: invoices.name },
      permissions: [{ actions: ["dynamodb:UpdateItem"], resources: [invoices.arn] }],
    });

    const api = new sst.aws.ApiGatewayV2("Api");
    const common: Omit<sst.aws.FunctionArgs, "handler"> = {
      runtime: "nodejs24.x",
      architecture: "arm64",
      environment: { ...jobs.client.environment, INVOICES_TABLE: invoices.name },
      permissions: [...jobs.client.permissions, { actions: ["dynamodb:PutItem"], resources: [invoices.arn] }],
    };
    api.route("POST /tenants/{tenant}/invoices", { ...common, handler: "api/invoices.create" }, { auth: { iam: true } });
    api.route("POST /tenants/{tenant}/payments", { ...common, handler: "api/payments.take" }, { auth: { iam: true } });
    return { api: api.url, roger: jobs.api };
  },
});
