# Sourced by the image's entrypoint when the data folder is new. What the entrypoint has done
# itself is no transaction of the source's, and must not be one of the replica's.
# The replica starts by itself when the server is started again.
docker_process_sql --database=mysql <<-END
	RESET BINARY LOGS AND GTIDS;
	CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'source', SOURCE_USER = 'replication', SOURCE_PASSWORD = '$(cat /run/secrets/replication_password)', SOURCE_SSL = 1, SOURCE_AUTO_POSITION = 1;
	SET PERSIST super_read_only = ON;
END
