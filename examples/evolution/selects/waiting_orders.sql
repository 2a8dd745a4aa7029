-- Orders whose parcel has not left.
SELECT o.order_id,
       o.customer_name,
       o.country,
       (SELECT CAST(sum(l.quantity) AS BIGINT)
          FROM order_lines AS l WHERE l.order_id = o.order_id) AS pieces,
       o.placed_at
  FROM orders AS o
 WHERE o.shipped_at IS NULL
