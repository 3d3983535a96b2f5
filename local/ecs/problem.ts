export type EcsProblemType =
  | "ClientException"
  | "ClusterNotFoundException"
  | "InvalidParameterException"
  | "SerializationException"
  | "ServiceNotFoundException"
  | "UnknownOperationException";

/** A refusal as AWS words it: the endpoint answers 400 with `{"__type", "message"}`, which the SDK turns into its own error class. */
export class EcsProblem extends Error {
  readonly type: EcsProblemType;

  constructor(type: EcsProblemType, message: string) {
    super(message);
    this.name = "EcsProblem";
    this.type = type;
  }
}
