/** What a person does next, by the code of the refusal: the API speaks to programs, too, and knows no command line. */
const HINTS: Readonly<Record<string, string>> = {
  unreachable: "is it running? npm start starts one on this machine; --api or ROGER_API says where it is",
  forbidden: "ROGER_API_TOKEN says who calls; else AWS credentials, where the URL is API Gateway's own or ROGER_API_REGION is set",
  unknown_partition: "roger partitions lists those that there are; roger start makes one",
  not_empty: "roger delete --force deletes them, too",
  not_buried: "roger job says where it is",
  job_buried: "roger buried <partition> delete <job id> forgets it",
  store_unavailable: "it may have had its effect: look, then try again",
};

export function hintFor(code: string): string | undefined {
  return Object.hasOwn(HINTS, code) ? HINTS[code] : undefined;
}
