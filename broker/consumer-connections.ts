import { SupervisedConnection } from "./connection.ts";
import type { BrokerSettings } from "./settings.ts";

/**
 * The connections that consume: a further one whenever all are full. They are apart from the one that publishes,
 * because RabbitMQ stops reading from a publishing connection in a memory alarm: acks, which would end the alarm, must get through.
 */
export class ConsumerConnections {
  private readonly settings: BrokerSettings;
  private readonly onOpened: (connection: SupervisedConnection) => void;
  /** How many partitions each carries. */
  private readonly loads = new Map<SupervisedConnection, number>();

  constructor(settings: BrokerSettings, onOpened: (connection: SupervisedConnection) => void) {
    this.settings = settings;
    this.onOpened = onOpened;
  }

  get all(): readonly SupervisedConnection[] {
    return [...this.loads.keys()];
  }

  /** A connection with a channel to spare. */
  take(): SupervisedConnection {
    const connection = this.withRoom() ?? this.open();
    this.loads.set(connection, (this.loads.get(connection) ?? 0) + 1);
    return connection;
  }

  release(connection: SupervisedConnection): void {
    this.loads.set(connection, (this.loads.get(connection) ?? 1) - 1);
  }

  private withRoom(): SupervisedConnection | undefined {
    for (const [connection, load] of this.loads) {
      if (load < this.settings.channelsPerConnection) return connection;
    }
    return undefined;
  }

  private open(): SupervisedConnection {
    const connection = new SupervisedConnection(`${this.settings.name} consumers ${this.loads.size + 1}`, this.settings);
    this.loads.set(connection, 0);
    this.onOpened(connection);
    return connection;
  }
}
