"""A driver that is gone: what it started on the cluster stays behind."""


def leave(name: str) -> None:
    """Start a Serve application and be gone."""
    import ray
    from ray import serve

    @serve.deployment(ray_actor_options={"num_cpus": 0})
    class Nothing:
        pass

    ray.init(logging_level=40)
    serve.start(proxy_location="Disabled")
    serve.run(Nothing.bind(), name=name, route_prefix=None)
